-- include: base drop callbacks release afterwards
-- A node begins anew: its lease, its messages and its calls go.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node
-- Returns  {1 where that was all, ids of the calls given up}
local node = ARGV[2]
local dropped, all = drop_calls(tonumber(ARGV[1]), node)
all = drop_callbacks(tonumber(ARGV[1]), node) and all
if all then
  not_due('n:' .. node)
  rc('DEL', K .. 'off:' .. node)
  is_settled(tonumber(ARGV[1]), node)
end
afterwards(tonumber(ARGV[1]))
return { all and 1 or 0, dropped }
