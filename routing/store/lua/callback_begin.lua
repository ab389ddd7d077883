-- include: base callbacks
-- The next word is to the customer's phone: an attempt, counted before it is made.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 node, 4 number of an attempt that has begun and is said again, or 0
-- Returns  the number of the attempt from 1, or 0 where it is not this node's to make
local now, b, said = tonumber(ARGV[1]), load_callback(ARGV[2]), tonumber(ARGV[4])
if not b then
  return 0
end
if said > 0 then
  return attempt_stands(now, b, ARGV[3], said) and said or 0
end
if b.node ~= ARGV[3] then
  return 0
end
if b.state == 'waiting' then
  attempt_begins(now, b, b.attempts + 1)
end
return b.attempts
