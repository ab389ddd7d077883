"""The hands of a session: each carries out the effects of one kind, and tells the call what came of them."""
