-- include: base
-- Adds to what is known of a queue: how long the stages of its calls last (routing/estimate.py).
-- KEYS[1]  prefix of the site
-- ARGV     1 queue, 2.. field, how many more
-- Returns  everything known, as field, count, ...
-- What is old weighs less: where a stage was counted often enough, all counts are halved.
local key = K .. 'hb:' .. ARGV[1]
for i = 2, #ARGV, 2 do
  rc('HINCRBY', key, ARGV[i], ARGV[i + 1])
end
local known, total = rc('HGETALL', key), 0
for i = 1, #known, 2 do
  if string.sub(known[i], 1, 5) == 'talk:' then
    total = total + tonumber(known[i + 1])
  end
end
if total > HABITS_KEPT then
  for i = 1, #known, 2 do
    local half = math.floor(tonumber(known[i + 1]) / 2)
    rc('HSET', key, known[i], half)
    known[i + 1] = int(half)
  end
end
return known
