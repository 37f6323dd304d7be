"""Who may use the gateway, from where, and how much: decisions alone. How a refusal looks is for `api/` to say."""
