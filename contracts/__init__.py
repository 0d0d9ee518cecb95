"""All that is written into Temporal history: messages, steps, queues, ids, search attributes, policies. Only ever grows."""
