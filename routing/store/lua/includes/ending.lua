-- include: base events agents calls
-- The last word about a reservation is kept with the agent, so that saying it again changes nothing.
local function remember(agent, token, word, wrapup_until)
  rc('HSET', K .. 'a:' .. agent, 'lt', token, 'lk', word, 'lw', wrapup_until)
end

-- The two have parted. Returns the deadline of the wrap-up, 0 without one.
local function part(now, c)
  local agent = load_agent(c.agent)
  local wrapup_until = 0
  forget_call(c)
  emit(now, 'completed', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token, 'w', c.wrapup, 'wx', c.wrapup_limit)
  if c.wrapup > 0 then
    wrapup_until = now + c.wrapup
    local key = K .. 'a:' .. agent.id
    rc('HSET', key, 'st', 'wrapup', 'since', now, 'wq', c.queue, 'wn', c.node, 'wc', c.id,
      'wu', wrapup_until, 'wx', now + c.wrapup_limit)
    rc('HDEL', key, 'c', 'tk')
    due_at(wrapup_until, 'a:' .. agent.id)
  else
    go_on(now, agent)
  end
  remember(c.agent, c.token, 'done', wrapup_until)
  return wrapup_until
end
