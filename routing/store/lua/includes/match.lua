-- include: base lines
-- Look-ups only; nothing is written here.

-- What a decision looked at, in that order: {name, rank, score, 1 where it was passed over}.
local function witness()
  local seen = {}
  return seen, function(name, rank, score, passed_over)
    if #seen < CANDIDATES_NOTED then
      seen[#seen + 1] = { name, rank, score, passed_over and 1 or 0 }
    end
  end
end

-- Tells of the first few names from `from` on that fit (with the rank, where one is asked for).
local function tell_runners_up(from, names, fits, rank, tell)
  local told = 0
  for i = from, #names do
    if fits[i] and (not rank or fits[i] == rank) then
      tell(names[i])
      told = told + 1
      if told == RUNNERS_UP then
        return
      end
    end
  end
end

-- Calls try(name, score) for the names of `set` that have a head, best first, until it returns true.
-- The best few of all heads are probed first: mostly one of them fits, and comparing all costs more.
-- Then calls next_best(name) for a few more of those that were probed.
local function search(heads, set, try, next_best)
  local top = rc('ZRANGE', heads, 0, PROBE_HEADS - 1, 'WITHSCORES')
  if #top == 0 then
    return
  end
  local names = {}
  for i = 1, #top, 2 do
    names[#names + 1] = top[i]
  end
  local fits = rc('ZMSCORE', set, unpack(names))
  for i = 1, #names do
    if fits[i] and try(names[i], tonumber(top[2 * i])) then
      tell_runners_up(i + 1, names, fits, nil, next_best)
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
-- Returns the call and what was seen.
local function best_call(agent, profile)
  local seen, note = witness()
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
      local passed_over = refused > 0 and rc('ZSCORE', refusals, call)
      note(call, 0, line[i + 1], passed_over)
      if not passed_over then
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
  search(K .. 'h', K .. 'pc:' .. profile, try, function(class)
    local head = rc('ZRANGE', K .. 'w:' .. class, 0, 0, 'WITHSCORES')
    note(call_of(head[1]), 0, head[2], false)
  end)
  return best, seen
end

-- The idle profiles that fit a class, as {profile, rank, best score}, the least rank first, then the score.
local function ranked_profiles(heads, fits, top)
  local found = {}
  if #top < 2 * PROBE_HEADS then
    for i = 1, #top, 2 do
      local rank = rc('ZSCORE', fits, top[i])
      if rank then
        found[#found + 1] = { top[i], tonumber(rank), tonumber(top[i + 1]) }
      end
    end
  else
    local ranks = rc('ZINTER', 2, heads, fits, 'WEIGHTS', 0, 1, 'WITHSCORES')
    for i = 1, #ranks, 2 do
      found[#found + 1] = { ranks[i], tonumber(ranks[i + 1]), tonumber(rc('ZSCORE', heads, ranks[i])) }
    end
  end
  table.sort(found, function(a, b)
    if a[2] ~= b[2] then
      return a[2] < b[2]
    end
    if a[3] ~= b[3] then
      return a[3] < b[3]
    end
    return a[1] < b[1]
  end)
  return found
end

-- Calls try(profile, score) for the idle profiles of the least rank that fit, best first, until it returns
-- true. Those with the best scores are probed first; only if none of them does are the others compared.
-- Then calls next_best(profile) for a few more of those that were probed and have that rank.
local function search_ranked(heads, fits, try, next_best)
  local top = rc('ZRANGE', heads, 0, PROBE_HEADS - 1, 'WITHSCORES')
  local least = #top > 0 and rc('ZRANGE', fits, 0, 0, 'WITHSCORES')[2]
  if not least then
    return
  end
  local names = {}
  for i = 1, #top, 2 do
    names[#names + 1] = top[i]
  end
  local ranks = rc('ZMSCORE', fits, unpack(names))
  local others = #names == PROBE_HEADS
  for i = 1, #names do
    if ranks[i] == least then
      if try(names[i], least, tonumber(top[2 * i])) then
        tell_runners_up(i + 1, names, ranks, least, function(profile)
          next_best(profile, least)
        end)
        return
      end
    elseif ranks[i] then
      others = true
    end
  end
  if others then
    for _, profile in ipairs(ranked_profiles(heads, fits, top)) do
      if try(profile[1], profile[2], profile[3]) then
        return
      end
    end
  end
end

local function named_agent(c, refused)
  local profile = rc('HGET', K .. 'a:' .. c.named, 'p')
  if profile and rc('ZSCORE', K .. 'i:longest-idle:' .. profile, c.named)
    and (refused == 0 or rc('SISMEMBER', K .. 'x:' .. c.id, c.named) == 0) then
    return c.named, profile
  end
end

-- The best by rank and score of all agents who can take this call and have not just refused it.
-- Returns the agent, the profile, the score and what was seen.
local function best_agent(c)
  local seen, note = witness()
  local refusals = K .. 'x:' .. c.id
  local refused = rc('SCARD', refusals)
  if c.named ~= '' then
    local agent, profile = named_agent(c, refused)
    return agent, profile, nil, seen
  end
  local best, best_rank, best_score, best_profile
  search_ranked(K .. 'ih:' .. c.order, K .. 'cp:' .. c.class, function(profile, rank, head)
    rank = tonumber(rank)
    if best and (rank > best_rank or head >= best_score) then
      return true
    end
    local idle = rc('ZRANGE', K .. 'i:' .. c.order .. ':' .. profile, 0, refused, 'WITHSCORES')
    for i = 1, #idle, 2 do
      local passed_over = refused > 0 and rc('SISMEMBER', refusals, idle[i]) == 1
      note(idle[i], rank, idle[i + 1], passed_over)
      if not passed_over then
        local score = tonumber(idle[i + 1])
        if not best or score < best_score then
          best, best_rank, best_score, best_profile = idle[i], rank, score, profile
        end
        break
      end
    end
    return best and best_score == head
  end, function(profile, rank)
    local head = rc('ZRANGE', K .. 'i:' .. c.order .. ':' .. profile, 0, 0, 'WITHSCORES')
    note(head[1], tonumber(rank), head[2], false)
  end)
  return best, best_profile, best_score, seen
end
