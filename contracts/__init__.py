"""All that is written into Temporal history: messages, steps, queues, search attributes, policies. Only ever grows."""
