-- include: base site lines health
local WIDTH = 1e13
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

-- The heads from one place to another, best first: their names, and what `set` says of each.
local function probe(heads, set, from, to)
  local names = rc('ZRANGE', heads, from, to - 1)
  return names, #names > 0 and rc('ZMSCORE', set, unpack(names))
end

-- Whether so few fit that to compare all of them costs no more than to probe.
local function few_fit(set)
  return rc('ZCARD', set) <= FEW_FITS
end

-- Calls try(name) for the names of `set` that have a head, best first, until it returns true.
-- Where many fit, the best few of all heads are probed first: mostly one of them does, and comparing all costs more.
-- Then calls next_best(name) for a few more of those that were seen.
local function search(heads, set, try, next_best)
  local from, to, tried = 0, not few_fit(set) and PROBE_FIRST, 0
  while to do
    local names, fits = probe(heads, set, from, to)
    for i = 1, #names do
      if fits[i] then
        if try(names[i]) then
          tell_runners_up(i + 1, names, fits, nil, next_best)
          return
        end
        tried = tried + 1
      end
    end
    if #names < to - from then
      return
    end
    from, to = to, to < PROBE_HEADS and PROBE_HEADS
  end
  local all = rc('ZINTER', 2, heads, set, 'WEIGHTS', 1, 0)
  -- Those that were tried are the first of them.
  for i = tried + 1, #all do
    if try(all[i]) then
      for next = i + 1, math.min(#all, i + RUNNERS_UP) do
        next_best(all[next])
      end
      return
    end
  end
end

-- The first in line of all calls of queues of one weight that this agent can take and has not just refused; nil
-- where none is. No head but a refused one is passed over, so at most `refused` + 1 classes and members are looked at.
-- Returns the call and its score.
local function best_of_weight(weight, agent, fits, refusals, refused, note)
  local best, best_score
  local function try(class)
    local line = rc('ZRANGE', K .. 'w:' .. class, 0, refused, 'WITHSCORES')
    local head = tonumber(line[2])
    if best and head >= best_score then
      return true
    end
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
  for _, class in ipairs(rc('ZRANGE', heads_key(weight, agent), 0, -1)) do
    if try(class) then
      break
    end
  end
  search(heads_key(weight, ''), fits, try, function(class)
    local head = rc('ZRANGE', K .. 'w:' .. class, 0, 0, 'WITHSCORES')
    note(call_of(head[1]), 0, head[2], false)
  end)
  return best, best_score
end

-- The score that a call of weight 1 would have that is as urgent now (routing.requirement.urgency).
local function urgency(score, weight, now)
  local time = score % WIDTH
  return score - time + math.min(math.max(now - weight * (now - time), 0), WIDTH - 1)
end

-- The first in line of all calls that this agent can take; nil where none is. `weights` names those of queues but 1,
-- nil where there is no other: the first of each is compared by what it has waited times the weight. `fits` is the
-- key of the classes.
-- Returns the call, what was seen, first of the weight of the call, and the score that was compared.
local function best_call(now, agent, fits, weights)
  local refusals = K .. 'xa:' .. agent
  local refused = rc('ZCARD', refusals)
  local seen, note = witness()
  local best, best_score = best_of_weight(1, agent, fits, refusals, refused, note)
  for weight in string.gmatch(weights or '', '%d+') do
    weight = tonumber(weight)
    local seen_more, note_more = witness()
    local call, score = best_of_weight(weight, agent, fits, refusals, refused, function(name, rank, at, passed_over)
      note_more(name, rank, int(urgency(tonumber(at), weight, now)), passed_over)
    end)
    if call then
      score = urgency(score, weight, now)
      if not best or score < best_score then
        best, best_score, seen, seen_more = call, score, seen_more, seen
      end
    end
    for i = 1, math.min(#seen_more, CANDIDATES_NOTED - #seen) do
      seen[#seen + 1] = seen_more[i]
    end
  end
  return best, seen, best_score
end

-- The idle profiles that fit a class, as {profile, rank, best score}, the least rank first, then the score.
local function ranked_profiles(heads, fits)
  local ranks = rc('ZINTER', 2, heads, fits, 'WEIGHTS', 0, 1, 'WITHSCORES')
  local found, names = {}, {}
  for i = 1, #ranks, 2 do
    names[#names + 1] = ranks[i]
  end
  for from = 1, #names, PROBE_HEADS do
    local to = math.min(#names, from + PROBE_HEADS - 1)
    for i, score in ipairs(rc('ZMSCORE', heads, unpack(names, from, to))) do
      local at = from + i - 1
      found[at] = { names[at], tonumber(ranks[2 * at]), tonumber(score) }
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

-- Calls try(profile, rank) for the idle profiles that fit, by rank and then best first, until it returns
-- true. Those with the best scores are probed first for one of the least rank; only if none has it all are compared.
-- Then calls next_best(profile, rank) for a few more of those that were seen and have that rank.
local function search_ranked(heads, fits, try, next_best)
  local least = rc('ZRANGE', fits, 0, 0, 'WITHSCORES')[2]
  if not least then
    return
  end
  local least_rank = tonumber(least)
  local from, to, others, tried = 0, PROBE_FIRST, false, {}
  while to do
    local names, ranks = probe(heads, fits, from, to)
    for i = 1, #names do
      if ranks[i] == least then
        if try(names[i], least_rank) then
          tell_runners_up(i + 1, names, ranks, least, function(profile)
            next_best(profile, least_rank)
          end)
          return
        end
        tried[names[i]] = true
      end
      others = others or (ranks[i] and ranks[i] ~= least)
    end
    if #names < to - from then
      if not others then
        return
      end
      break
    end
    from, to = to, to < PROBE_HEADS and not few_fit(fits) and PROBE_HEADS
  end
  local found = ranked_profiles(heads, fits)
  for i, profile in ipairs(found) do
    if not tried[profile[1]] and try(profile[1], profile[2]) then
      for next = i + 1, math.min(#found, i + RUNNERS_UP) do
        if found[next][2] == profile[2] then
          next_best(found[next][1], profile[2])
        end
      end
      return
    end
  end
end

local function named_agent(c, refused)
  if refused > 0 and rc('SISMEMBER', K .. 'x:' .. c.id, c.named) == 1 then
    return
  end
  for _, profile in ipairs(rc('HMGET', K .. 'a:' .. c.named, 'p', 'pb')) do
    if profile and rc('ZSCORE', K .. 'i:longest-idle:' .. profile, c.named) then
      return c.named, profile
    end
  end
end

-- The best by rank and score of all agents who can take this call and have not just refused it.
-- Returns the agent, the profile, the score and what was seen.
local function best_agent(now, c)
  local seen, note = witness()
  local refusals = K .. 'x:' .. c.id
  local refused = c.new and 0 or rc('SCARD', refusals)
  if c.named ~= '' then
    local agent, profile = named_agent(c, refused)
    return agent, profile, nil, seen
  end
  local best, best_rank, best_score, best_profile
  local fits = K .. 'cp:' .. c.class
  if odd().lent then
    fits = fits_now('cp:', 'cr:', c.class, now, 1)
  end
  search_ranked(K .. 'ih:' .. c.order, fits, function(profile, rank)
    if best and rank > best_rank then
      return true
    end
    local idle = rc('ZRANGE', K .. 'i:' .. c.order .. ':' .. profile, 0, refused, 'WITHSCORES')
    local head = tonumber(idle[2])
    if best and head >= best_score then
      return true
    end
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
    note(head[1], rank, head[2], false)
  end)
  drop_fits(fits)
  return best, best_profile, best_score, seen
end
