"""What the parts agree on: tables, records, names, identities and the one as-of rule. Standard library only."""
