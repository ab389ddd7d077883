-- include: base events tokens
-- An agent leaves wrap-up. The node that had the call hears how long it took, as long as that node lives.
local function tell_wrapup(now, agent)
  local key = K .. 'a:' .. agent.id
  local v = rc('HMGET', key, 'since', 'wq', 'wn')
  rc('HDEL', key, 'wq', 'wn', 'wc', 'wu', 'wx')
  local taken = int(now - v[1])
  emit(now, 'wrapped', v[2], 'a', agent.id, 'ms', taken)
  if rc('ZSCORE', K .. 'due', 'n:' .. v[3]) then
    rc('XADD', K .. 'off:' .. v[3], 'MAXLEN', '~', MESSAGES_KEPT, '*', 'a', agent.id, 'q', v[2], 'w', taken,
      't', next_token(now))
  end
end
