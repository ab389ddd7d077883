-- include: base tickets calls agents doubt own_calls
-- The call waits, says its node: it is put in its place, and in doubt a reservation that the store has of it is none.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2-17 the ticket (includes/tickets.lua)
-- Returns  0, or -1 where the class is unknown
local now, c = tonumber(ARGV[1]), load_call(ARGV[2])
if not c then
  c = ticket()
  if rc('HEXISTS', K .. 'cl', c.class) == 0 or not know_steps(c.steps) then
    return UNKNOWN_CLASS
  end
  admit(now, c)
  place(now, c)
elseif c.state == 'offered' and in_doubt() then
  local held = offers_of(c)
  for _, offer in ipairs(held) do
    c.agent, c.token = offer[1], offer[2]
    tell_withdrawn(now, c, 'restored')
  end
  forget_offers(c)
  requeue(now, c)
  for _, offer in ipairs(held) do
    local agent = load_agent(offer[1])
    set_free(now, agent, agent.idle_since)
  end
end
return OK
