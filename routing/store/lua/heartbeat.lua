-- include: base events
-- This node lives until now + lease.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node, 3 lease (ms)
-- Returns  {1 where the node held no lease, else 0; the number of the last event}
local now, node = tonumber(ARGV[1]), ARGV[2]
-- A word that was long on its way must not make a lease shorter.
local lapsed = rc('ZADD', K .. 'due', 'GT', now + tonumber(ARGV[3]), 'n:' .. node)
if lapsed == 1 then
  emit(now, 'node-lives', '', 'n', node)
end
return { lapsed, tonumber(rc('GET', K .. 'seq') or '0') }
