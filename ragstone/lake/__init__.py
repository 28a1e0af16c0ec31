"""The lake without a JVM: schemas, appends and reads of Delta tables, and the landing zone they are built from."""
