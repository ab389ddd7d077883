-- include: base events exclusions
-- A reservation became a conversation.
local function begin_talk(now, c)
  rc('HSET', K .. 'c:' .. c.id, 'st', 'talking')
  rc('HSET', K .. 'a:' .. c.agent, 'st', 'talking', 'since', now, 'un', 0)
  not_due('r:' .. c.id)
  forget_exclusions(c.id)
  emit(now, 'answered', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token)
  c.state = 'talking'
end
