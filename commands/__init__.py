"""The only way to change anything: each claims its identity in the database, then starts or signals a workflow."""
