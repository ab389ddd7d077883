-- include: base events exclusions steps
-- A reservation became a conversation.
local function begin_talk(now, c)
  if c.steps ~= '' then
    no_more_steps(c)
    rc('HSET', K .. 'c:' .. c.id, 'l', '')
    c.steps = ''
  end
  rc('HSET', K .. 'c:' .. c.id, 'st', 'talking')
  rc('HSET', K .. 'a:' .. c.agent, 'st', 'talking', 'since', now, 'un', 0)
  rc('HINCRBY', K .. 'a:' .. c.agent, 'cn', 1)
  not_due('r:' .. c.id)
  forget_exclusions(c.id)
  emit(now, 'answered', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token)
  c.state = 'talking'
end
