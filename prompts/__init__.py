"""The roles, as Markdown: one file a role."""
