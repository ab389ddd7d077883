"""What happens to calls, told to web servers of the operator (Standard Webhooks)."""
