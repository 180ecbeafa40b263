"""The page Campaigns: progress, cost, failures, and a request to cancel."""
