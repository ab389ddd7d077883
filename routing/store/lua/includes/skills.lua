-- include: base agents idle talks
local SIGNED_IN = { available = true, offered = true, talking = true, wrapup = true }

-- What an agent can do and how much, as ARGV from `at` on: profile, place in the fixed order, weight, capacity,
-- profile while talking (empty where the capacity is 1). Returns nil where a profile is unknown.
local function skills_at(at)
  local found = {
    profile = ARGV[at], order = ARGV[at + 1], weight = ARGV[at + 2], capacity = ARGV[at + 3], in_talk = ARGV[at + 4],
  }
  for _, profile in ipairs({ found.profile, found.in_talk }) do
    if profile ~= '' and rc('HEXISTS', K .. 'pf', profile) == 0 then
      return nil
    end
  end
  return found
end

local function same_skills(agent, skills)
  return agent.profile == skills.profile and (agent.profile_in_talk or '') == skills.in_talk
    and agent.terms == skills.order .. ' ' .. skills.weight .. ' ' .. skills.capacity
end

-- Kept with the agent. `cap` is there for those who have, or had, more than one; then `at` must hold what they are at.
local function write_skills(now, agent, skills)
  if same_skills(agent, skills) then
    return
  end
  local key = K .. 'a:' .. agent.id
  rc('HSET', key, 'p', skills.profile, 'od', skills.order, 'wt', skills.weight)
  if skills.in_talk ~= '' or rc('HEXISTS', key, 'cap') == 1 then
    rc('HSET', key, 'cap', skills.capacity, 'ld', agent.talks)
  end
  if skills.in_talk ~= '' then
    rc('HSET', key, 'pb', skills.in_talk)
  else
    rc('HDEL', key, 'pb')
  end
  emit(now, 'agent-skills', '', 'a', agent.id, 'p', skills.profile, 'od', skills.order, 'wt', skills.weight,
    'cap', skills.capacity)
  agent.profile, agent.capacity = skills.profile, tonumber(skills.capacity)
  agent.profile_in_talk = skills.in_talk ~= '' and skills.in_talk
  if agent.profile_in_talk and agent.talks == 0 and agent.state == 'talking' then
    add_talk(agent, agent.call, agent.token)
  end
end

local function move_sign_in(now, agent, from, to)
  if from ~= to then
    sign_out_of(now, agent, from)
    sign_in_to(now, agent, to)
  end
end

-- Other skills or terms than before. Who has room may have a call waiting that fits now; one who rests after a refusal
-- is in no idle set and stays so.
local function take_skills(now, agent, skills)
  if same_skills(agent, skills) then
    return
  end
  local old, old_in_talk = agent.profile, agent.profile_in_talk
  local could, was_idle = has_room(agent), false
  if agent.state == 'available' or could then
    was_idle = idle_remove(agent.id, idle_profile(agent))
  end
  write_skills(now, agent, skills)
  if not SIGNED_IN[agent.state] then
    return
  end
  move_sign_in(now, agent.id, old, agent.profile)
  move_sign_in(now, agent.id, old_in_talk, agent.profile_in_talk)
  if agent.state == 'available' and was_idle then
    seek_call(now, agent, agent.idle_since)
  elseif has_room(agent) and (was_idle or not could) then
    seek_call(now, agent, was_idle and agent.idle_since or now)
  end
end
