-- include: base
-- Idle agents of each profile `i:P` by when they became idle, and the longest idle of each profile `ih`.
-- A further strategy is a further pair of these with its own score.
local function idle_add(agent, profile, since)
  rc('ZADD', K .. 'i:' .. profile, since, agent)
  rc('ZADD', K .. 'ih', 'LT', since, profile)
end

local function idle_remove(agent, profile)
  local idle = K .. 'i:' .. profile
  if rc('ZREM', idle, agent) == 0 then
    return false
  end
  local head = rc('ZRANGE', idle, 0, 0, 'WITHSCORES')
  if head[1] then
    rc('ZADD', K .. 'ih', head[2], profile)
  else
    rc('ZREM', K .. 'ih', profile)
  end
  return true
end
