-- include: base agents calls exclusions drop sweep wrapup callbacks release afterwards own_calls
-- Carries out what is due: r:CALL ring deadline, a:AGENT end of wrap-up, of a rest, or of remembering
-- who signed out, x:CALL end of a refusal's pause, l:CALL a step that relaxes what it needs, d:CALL its target missed, n:NODE end of a lease,
-- o:NODE time to have one for a node that put a call in line without,
-- b:ID a callback that rests, e:ID the end of one, s: unused classes and profiles,
-- g: the end of the doubt after the server began anew.
-- KEYS[1]  prefix of the site
-- ARGV     1 now
-- Returns  when the next thing falls due (ms), or -1 where nothing will
local now = tonumber(ARGV[1])
local on = {}

-- The owner had the time to say what came of it and did not.
function on.r(id)
  local c = load_call(id)
  local held = offers_of(c)
  for _, offer in ipairs(held) do
    c.agent, c.token = offer[1], offer[2]
    tell_withdrawn(now, c, 'deadline')
    exclude(now, id, c.agent, REFUSAL_PAUSE_MS, EXCLUSION_MAX_MS)
    rc('HINCRBY', K .. 'a:' .. c.agent, 'un', 1)
  end
  forget_offers(c)
  requeue(now, c)
  for _, offer in ipairs(held) do
    set_free(now, load_agent(offer[1]), now)
  end
end

function on.a(id)
  local agent = load_agent(id)
  if agent.state == 'wrapup' then
    tell_wrapup(now, agent)
    go_on(now, agent)
  elseif (agent.state == 'available' or has_room(agent)) and not is_idle(agent) then
    seek_call(now, agent, now)
  elseif agent.state == 'offline' then
    rc('DEL', K .. 'a:' .. id)
    rc('SREM', K .. 'ag', id)
    emit(now, 'agent-forgotten', '', 'a', id)
  end
end

function on.x(id)
  local c = load_call(id)
  if lift_exclusions(now, c) and c.state == 'waiting' then
    leave_line(c)
    place(now, c)
  end
end

function on.l(id)
  local c = load_call(id)
  if c.state == 'waiting' then
    leave_line(c)
    take_steps(now, c)
    place(now, c)
  else
    take_steps(now, c)
  end
end

-- Nobody who is free could take it before, and nobody can now: it only moves.
function on.d(id)
  local c = load_call(id)
  if c.state == 'waiting' then
    leave_line(c)
    miss_target(c)
    enter_line(c)
  else
    miss_target(c)
  end
end

local function give_up_node(what, node)
  local _, all = drop_calls(now, node)
  if drop_callbacks(now, node) and all then
    rc('DEL', K .. 'off:' .. node)
    emit(now, 'node-died', '', 'n', node)
    is_settled(now, node)
  else
    due_at(now, what .. node)
  end
end

function on.n(node)
  give_up_node('n:', node)
end

function on.o(node)
  if not rc('ZSCORE', K .. 'due', 'n:' .. node) then
    give_up_node('o:', node)
  end
end

function on.b(id)
  callback_waits(load_callback(id), '')
end

-- One that is being made is judged when that is over.
function on.e(id)
  local b = load_callback(id)
  if b.state ~= 'making' then
    tell_callback_over(b, 'expired')
    end_callback(now, b, 'expired')
  end
end

-- Not all have said their calls again, and the others wait no longer.
function on.g()
  release(now)
end

function on.s()
  local again = sweep(now)
  if again then
    due_at(again, 's:')
  end
end

-- The sweep comes last, when all calls that were due have taken their next class.
local sweep_due = false
local due = rc('ZRANGE', K .. 'due', '-inf', now, 'BYSCORE', 'LIMIT', 0, TICK_BATCH)
for _, what in ipairs(due) do
  -- One thing carried out may have settled another of this batch.
  if what == 's:' then
    sweep_due = true
  elseif rc('ZREM', K .. 'due', what) == 1 then
    on[string.sub(what, 1, 1)](string.sub(what, 3))
  end
end
if sweep_due and #due < TICK_BATCH and rc('ZREM', K .. 'due', 's:') == 1 then
  on.s()
end
afterwards(now)
local first = rc('ZRANGE', K .. 'due', 0, 0, 'WITHSCORES')
if first[1] then
  return tonumber(first[2])
end
return -1
