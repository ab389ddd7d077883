-- include: base site events lines idle match own_order reserve calls talks doubt
local function load_agent(id)
  local v = rc('HMGET', K .. 'a:' .. id, 'st', 'p', 'c', 'tk', 'nx', 'nw', 'is', 'un', 'n', 'why', 'since', 'bs', 'bz', 'si', 'od', 'wt',
    'cap', 'pb', 'ld', 'ow')
  return {
    id = id, state = v[1] or 'offline', known = v[1], profile = v[2], call = v[3], token = v[4],
    next = v[5], next_why = v[6], idle_since = v[7], unanswered = tonumber(v[8] or '0'), node = v[9],
    why = v[10] or '', since = tonumber(v[11]), busy_from = tonumber(v[12]), busy = tonumber(v[13] or '0'),
    signed_in = tonumber(v[14]), terms = (v[15] or '') .. ' ' .. (v[16] or '') .. ' ' .. (v[17] or '1'),
    capacity = tonumber(v[17] or '1'), talks = tonumber(v[19] or '0'), profile_in_talk = v[18], owes = v[20],
  }
end

-- `ag` holds every agent who has a hash.
local function know(agent)
  if not agent.known then
    rc('SADD', K .. 'ag', agent.id)
  end
end

-- Names and values of the agent's hash that are written with the next state.
local function write_later(agent, ...)
  local later = agent.later or {}
  for i = 1, select('#', ...) do
    later[#later + 1] = select(i, ...)
  end
  agent.later = later
end

-- What an agent was busy with is over.
local function count_busy(now, agent)
  if agent.busy_from then
    agent.busy = agent.busy + now - agent.busy_from
    write_later(agent, 'bz', agent.busy)
  end
end

-- The one way for an agent's state to change but for reserve and accept: a state without a call.
local function set_state(now, agent, state, why)
  local key, had_more = K .. 'a:' .. agent.id, agent.call or agent.next or agent.busy_from
  count_busy(now, agent)
  rc('HSET', key, 'st', state, 'since', now, 'why', why, unpack(agent.later or {}))
  if had_more then
    rc('HDEL', key, 'c', 'tk', 'nx', 'nw', 'bs')
  end
  agent.state, agent.call, agent.token, agent.next, agent.next_why, agent.busy_from = state, nil, nil, nil, nil, nil
  agent.later = nil
end

-- From when on an agent is idle, as names and values of the hash.
local function idle_from(since)
  if odd().vt then
    return 'is', since, 'ck', odd().vt
  end
  return 'is', since
end

-- The call that has waited longest for an agent with room, out of its line, and what was seen; nil where there is none.
local function take_call(now, agent)
  if in_doubt() then
    return nil
  end
  local profile = idle_profile(agent)
  local fits = K .. 'pc:' .. profile
  if odd().lent then
    fits = fits_now('pc:', 'pr:', profile, now, 0)
  end
  local id, seen = next_call(now, agent.id, profile, fits, odd().weights)
  drop_fits(fits)
  local c = id and load_call(id)
  if c then
    leave_line(c)
  end
  return c, seen
end

-- An agent who talks and has room for one more, or who is available, gets a call, or else goes idle.
local function seek_call(now, agent, idle_since)
  rc('HSET', K .. 'a:' .. agent.id, idle_from(idle_since))
  local c, seen = take_call(now, agent)
  if c then
    reserve(now, c, agent, 'call', seen)
    agent.state = 'offered'
  else
    idle_add(agent.id, idle_profile(agent), idle_since)
  end
end

-- The same of one who becomes available, written once with what comes of it.
local function become_available(now, agent, idle_since)
  emit(now, 'agent', '', 'a', agent.id, 'st', 'available')
  write_later(agent, idle_from(idle_since))
  local c, seen = take_call(now, agent)
  if c then
    count_busy(now, agent)
    write_later(agent, 'why', '')
    agent.busy_from = nil
    reserve(now, c, agent, 'call', seen)
    agent.state = 'offered'
  else
    set_state(now, agent, 'available', '')
    idle_add(agent.id, agent.profile, idle_since)
  end
end

-- No phone of theirs rings any more, and other conversations go on.
local function back_to_talk(now, agent)
  agent.state = 'talking'
  rc('HSET', K .. 'a:' .. agent.id, 'st', 'talking', 'since', now)
  emit(now, 'agent', '', 'a', agent.id, 'st', 'talking', 'c', go_on_with_newest(agent))
end

local put_away

-- Who was rung and is not any more, or has ended a conversation or a wrap-up: on to what there is to do, or free.
local function set_free(now, agent, idle_since)
  if agent.talks > 0 then
    back_to_talk(now, agent)
    if has_room(agent) then
      seek_call(now, agent, idle_since)
    end
  elseif agent.owes then
    begin_owed_wrapup(now, agent)
  elseif agent.next then
    put_away(now, agent, agent.next, agent.next_why or '')
  else
    become_available(now, agent, idle_since)
  end
end

-- Whose phone rang for a call that another has, or that is gone: free, in the old place among the idle.
local function let_go(now, c, offer)
  local agent = load_agent(offer[1])
  emit(now, 'let-go', c.queue, 'c', c.id, 'a', agent.id, 'tk', offer[2])
  set_free(now, agent, agent.idle_since)
end

-- `si:P` holds who is signed in with a profile; one that has members is not swept, nor soon after the last has left.
local function sign_out_of(now, agent, profile)
  if profile and rc('SREM', K .. 'si:' .. profile, agent) == 1 then
    rc('ZADD', K .. 'pk', now, profile)
  end
end

local function sign_in_to(now, agent, profile)
  if profile then
    rc('SADD', K .. 'si:' .. profile, agent)
  end
end

-- Counts for the strategies begin with signing in, and a pause does not count as time without work.
local function begin_presence(now, agent)
  if agent.state == 'offline' or not agent.signed_in then
    agent.busy = 0
    write_later(agent, 'si', now, 'cn', 0, 'bz', 0, 'un', 0)
  else
    write_later(agent, 'si', agent.signed_in + now - agent.since, 'un', 0)
  end
  agent.unanswered = 0
end

-- Calls that wait for just this agent, and may then have another, need not wait for their time.
local function wait_no_longer_for(now, agent)
  for weight in string.gmatch('1 ' .. (odd().weights or ''), '%d+') do
    for _, class in ipairs(rc('ZRANGE', heads_key(tonumber(weight), agent), 0, -1)) do
      for _, member in ipairs(rc('ZRANGE', K .. 'w:' .. class, 0, DROP_BATCH - 1)) do
        local id = call_of(member)
        if load_call(id).steps ~= '' then
          due_at(now, 'l:' .. id)
        end
      end
    end
  end
end

-- What an agent who talks is to be afterwards; meanwhile there are no further calls.
local function put_away_later(now, agent, state, why)
  rc('HSET', K .. 'a:' .. agent.id, 'nx', state, 'nw', why)
  agent.next, agent.next_why = state, why
  emit(now, 'asked', '', 'a', agent.id, 'st', state, 'why', why)
end

-- Paused, not-answering or offline. The agent is in no idle set, and no phone of theirs rings.
function put_away(now, agent, state, why)
  if agent.talks > 0 then
    back_to_talk(now, agent)
    put_away_later(now, agent, state, why)
    return
  end
  set_state(now, agent, state, why)
  owe_nothing(agent)
  emit(now, 'agent', '', 'a', agent.id, 'st', state, 'why', why)
  wait_no_longer_for(now, agent.id)
  if agent.profile then
    sign_out_of(now, agent.id, agent.profile)
    sign_out_of(now, agent.id, agent.profile_in_talk)
  end
  if state == 'offline' then
    due_at(now + FORGET_AGENT_MS, 'a:' .. agent.id)
  else
    not_due('a:' .. agent.id)
  end
end

-- After a conversation and its wrap-up: what was asked for meanwhile, or free.
local function go_on(now, agent)
  if agent.next then
    put_away(now, agent, agent.next, agent.next_why or '')
  else
    set_free(now, agent, now)
  end
end
