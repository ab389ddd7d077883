-- include: base lines
-- Look-ups only; nothing is written here.

-- Calls try(name, score) for the names of `set` that have a head, best first, until it returns true.
-- The best few of all heads are probed first: mostly one of them fits, and comparing all costs more.
local function search(heads, set, try)
  local top = rc('ZRANGE', heads, 0, PROBE_HEADS - 1, 'WITHSCORES')
  if #top == 0 then
    return
  end
  local names = {}
  for i = 1, #top, 2 do
    names[#names + 1] = top[i]
  end
  local fits = rc('SMISMEMBER', set, unpack(names))
  for i = 1, #names do
    if fits[i] == 1 and try(names[i], tonumber(top[2 * i])) then
      return
    end
  end
  if #names < PROBE_HEADS then
    return
  end
  local all = rc('ZINTER', 2, heads, set, 'WEIGHTS', 1, 0, 'WITHSCORES')
  for i = 1, #all, 2 do
    if try(all[i], tonumber(all[i + 1])) then
      return
    end
  end
end

-- The first in line of all calls that this agent can take and has not just refused; nil where none is.
-- No head but a refused one is passed over, so at most `refused` + 1 classes and members are looked at.
local function best_call(agent, profile)
  local refusals = K .. 'xa:' .. agent
  local refused = rc('ZCARD', refusals)
  local best, best_score
  local function try(class, head)
    if best and head >= best_score then
      return true
    end
    local line = rc('ZRANGE', K .. 'w:' .. class, 0, refused, 'WITHSCORES')
    for i = 1, #line, 2 do
      local call = call_of(line[i])
      if refused == 0 or not rc('ZSCORE', refusals, call) then
        local score = tonumber(line[i + 1])
        if not best or score < best_score then
          best, best_score = call, score
        end
        break
      end
    end
    return best and best_score == head
  end
  local named = rc('ZRANGE', heads_key(agent), 0, -1, 'WITHSCORES')
  for i = 1, #named, 2 do
    if try(named[i], tonumber(named[i + 1])) then
      break
    end
  end
  search(K .. 'h', K .. 'pc:' .. profile, try)
  return best
end

-- The longest idle of all agents who can take this call and have not just refused it, and the profile.
local function best_agent(c)
  local refusals = K .. 'x:' .. c.id
  local refused = rc('SCARD', refusals)
  if c.named ~= '' then
    local profile = rc('HGET', K .. 'a:' .. c.named, 'p')
    if profile and rc('ZSCORE', K .. 'i:' .. profile, c.named)
      and (refused == 0 or rc('SISMEMBER', refusals, c.named) == 0) then
      return c.named, profile
    end
    return nil
  end
  local best, best_since, best_profile
  search(K .. 'ih', K .. 'cp:' .. c.class, function(profile, head)
    if best and head >= best_since then
      return true
    end
    local idle = rc('ZRANGE', K .. 'i:' .. profile, 0, refused, 'WITHSCORES')
    for i = 1, #idle, 2 do
      if refused == 0 or rc('SISMEMBER', refusals, idle[i]) == 0 then
        local since = tonumber(idle[i + 1])
        if not best or since < best_since then
          best, best_since, best_profile = idle[i], since, profile
        end
        break
      end
    end
    return best and best_since == head
  end)
  return best, best_profile
end
