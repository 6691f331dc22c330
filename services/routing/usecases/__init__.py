"""What routing can do. Each use case asks first, then opens one transaction, and commits it in plain sight."""
