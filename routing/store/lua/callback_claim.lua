-- include: base callbacks
-- This node looks after what no node does.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node, 3 how many at most
-- Returns  all that the node looks after and has not begun, as id, document, ...
local found = {}
for _, id in ipairs(rc('ZRANGE', K .. 'cbf', 0, ARGV[3] - 1)) do
  own_callback(load_callback(id), ARGV[2])
end
for _, id in ipairs(rc('SMEMBERS', K .. 'nb:' .. ARGV[2])) do
  local v = rc('HMGET', K .. 'cb:' .. id, 'st', 'd')
  if v[1] == 'waiting' then
    found[#found + 1] = id
    found[#found + 1] = v[2]
  end
end
return found
