-- include: base site scores
-- Idle agents of each profile by the score of an order `i:ORDER:P`, and the best of each profile `ih:ORDER`.
-- `or` holds how many classes use each order beside longest-idle, which is always kept.
local ALWAYS = 'longest-idle'

local function add_to(order, agent, profile, score)
  rc('ZADD', K .. 'i:' .. order .. ':' .. profile, score, agent)
  rc('ZADD', K .. 'ih:' .. order, 'LT', score, profile)
end

local function remove_from(order, agent, profile)
  local idle, heads = K .. 'i:' .. order .. ':' .. profile, K .. 'ih:' .. order
  if rc('ZREM', idle, agent) == 0 then
    return false
  end
  local head = rc('ZRANGE', idle, 0, 0, 'WITHSCORES')
  if head[1] then
    rc('ZADD', heads, head[2], profile)
  else
    rc('ZREM', heads, profile)
  end
  return true
end

local function idle_add(agent, profile, since)
  add_to(ALWAYS, agent, profile, since)
  if odd().orders then
    local facts = idle_facts(agent)
    for order in string.gmatch(odd().orders, '%S+') do
      add_to(order, agent, profile, score_by[order](facts))
    end
  end
end

local function idle_remove(agent, profile)
  if not remove_from(ALWAYS, agent, profile) then
    return false
  end
  for order in string.gmatch(odd().orders or '', '%S+') do
    remove_from(order, agent, profile)
  end
  return true
end
