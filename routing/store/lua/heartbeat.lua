-- include: base
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node, 3 lease (ms)
-- Returns  1 where the node held no lease, else 0
return due_at(tonumber(ARGV[1]) + tonumber(ARGV[3]), 'n:' .. ARGV[2])
