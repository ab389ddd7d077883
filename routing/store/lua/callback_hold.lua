-- include: base callbacks
-- Whether this node still looks after it; one that nobody does is taken back.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 node
-- Returns  1 where it does, 0 where it has ended or another node does, -1 where it is not known at all
local b = load_callback(ARGV[2])
if not b then
  return rc('ZSCORE', K .. 'cbx', ARGV[2]) and 0 or -1
end
if b.state == 'waiting' and b.node == '' then
  callback_waits(b, ARGV[3])
end
return b.node == ARGV[3] and 1 or 0
