"""Who calls, what they may do, and how much of it.

metadata ── Guard.admit ──► Principal ── may_use / may_reserve ──► verbs, pools
                └── Limiter: requests in flight and tokens a minute, for each tenant
"""
