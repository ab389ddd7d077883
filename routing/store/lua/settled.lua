-- include: base release
-- A node has said everything again that the store may lack.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node
-- Returns  0
is_settled(tonumber(ARGV[1]), ARGV[2])
return OK
