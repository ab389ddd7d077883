-- include: base lines match
-- Agents who take calls by their own priorities of the queues: the names of their profiles begin with '>'. The rank
-- of a class for a profile begins with that priority (routing.strategy.rank), so `fits` is looked at in parts.
local RANK_WIDTH = 10000

-- Calls look(priority, key) for what is for just the agent (0), and for the classes of each priority, the least first.
local function each_priority(fits, look)
  local part, least = K .. 'tmp:own', 0
  repeat
    if least > 0 then
      rc('ZRANGESTORE', part, fits, least * RANK_WIDTH, '(' .. int((least + 1) * RANK_WIDTH), 'BYSCORE')
    end
    look(least, part)
    rc('DEL', part)
    local next = rc('ZRANGE', fits, int((least + 1) * RANK_WIDTH), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    least = next and math.floor(tonumber(next) / RANK_WIDTH)
  until not least
end

-- The call that this agent is to take next; nil where none is. Higher priority first; among equals by the agent's own
-- order where there is one, and then as `best_call`.
-- Returns the call and what was seen.
local function next_call(now, agent, profile, fits, weights)
  if string.sub(profile, 1, 1) ~= '>' then
    return best_call(now, agent, fits, weights)
  end
  local best, best_class, seen, others = nil, nil, {}, {}
  each_priority(fits, function(priority, part)
    local call, looked, score = best_call(now, agent, part, weights)
    for _, one in ipairs(looked) do
      one[2] = math.floor(one[3] / WIDTH) * 1000 + priority
    end
    local class = call and math.floor(score / WIDTH)
    if call and (not best or class < best_class) then
      best, best_class, seen, looked = call, class, looked, seen
    end
    others[#others + 1] = looked
  end)
  for _, looked in ipairs(others) do
    for i = 1, math.min(#looked, CANDIDATES_NOTED - #seen) do
      seen[#seen + 1] = looked[i]
    end
  end
  return best, seen
end
