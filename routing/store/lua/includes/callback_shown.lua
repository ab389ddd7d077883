-- include: base
-- One that has not ended: {id, state, number of attempts, when due or '', document}.
local function callback_shown(id)
  local v = rc('HMGET', K .. 'cb:' .. id, 'st', 'at', 'd')
  return v[1] and { id, v[1], v[2], rc('ZSCORE', K .. 'due', 'b:' .. id) or '', v[3] }
end
