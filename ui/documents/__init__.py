"""The page Documents: what it asks, and how it shows what was consulted beside what was relied on."""
