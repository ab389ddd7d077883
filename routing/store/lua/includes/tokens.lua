-- include: base
-- Fences rise for ever, and past a lost write too, since each is at least the time in microseconds.
local function next_token(now)
  local last = tonumber(rc('GET', K .. 'fence') or '0')
  local token = now * 1000
  if token <= last then
    token = last + 1
  end
  rc('SET', K .. 'fence', token)
  return token
end
