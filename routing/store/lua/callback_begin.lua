-- include: base callbacks
-- The next word is to the customer's phone: an attempt, counted before it is made.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 node
-- Returns  the number of the attempt from 1, or 0 where it is not this node's to make
local b = load_callback(ARGV[2])
if not b or b.node ~= ARGV[3] then
  return 0
end
if b.state == 'waiting' then
  b.attempts = rc('HINCRBY', K .. 'cb:' .. b.id, 'at', 1)
  rc('HSET', K .. 'cb:' .. b.id, 'st', 'making')
  emit(tonumber(ARGV[1]), 'callback-attempts', b.queue, 'b', b.id, 'at', b.attempts)
end
return b.attempts
