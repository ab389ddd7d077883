-- include: base
-- KEYS[1]  prefix of the site
-- ARGV     1 queue, 2 how many at most
-- Returns  the oldest first, each as {id, state, number of attempts, when due or '', document}
local found = {}
for _, id in ipairs(rc('ZRANGE', K .. 'cbq:' .. ARGV[1], 0, ARGV[2] - 1)) do
  local v = rc('HMGET', K .. 'cb:' .. id, 'st', 'at', 'd')
  found[#found + 1] = { id, v[1], v[2], rc('ZSCORE', K .. 'due', 'b:' .. id) or '', v[3] }
end
return found
