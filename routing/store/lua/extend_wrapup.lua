-- include: base events
-- The agent needs more time. An absolute time, so that saying it again changes nothing.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3 until
-- Returns  {end before, end now} (ms), or nil where the agent is not in wrap-up
local now, key = tonumber(ARGV[1]), K .. 'a:' .. ARGV[2]
local v = rc('HMGET', key, 'st', 'wu', 'wx', 'wq')
if v[1] ~= 'wrapup' then
  return false
end
local before, limit = tonumber(v[2]), tonumber(v[3])
local after = math.max(before, math.min(tonumber(ARGV[3]), limit))
if after > before then
  rc('HSET', key, 'wu', int(after))
  due_at(int(after), 'a:' .. ARGV[2])
  emit(now, 'extended', v[4], 'a', ARGV[2], 'ms', int(after - before))
end
return { before, after }
