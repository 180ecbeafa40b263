"""The page Findings: the register as a picture and a table, its forms, and notices."""
