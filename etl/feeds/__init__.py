"""Scheduled imports: a manifest whose folder, address or table elsewhere is looked at again and again."""
