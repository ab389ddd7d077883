-- include: base release afterwards
-- A node has said everything again that the store lacked in one generation; in a later one it lacks it again.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node, 3 the generation, or '' of any
-- Returns  0
local v = rc('HMGET', K .. 'gen', 'id', 'n')
if ARGV[3] == '' or (v[1] and v[1] .. ':' .. v[2] == ARGV[3]) then
  is_settled(tonumber(ARGV[1]), ARGV[2])
  afterwards(tonumber(ARGV[1]))
end
return OK
