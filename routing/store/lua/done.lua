-- include: base calls agents ending talk doubt afterwards
-- The conversation is over. Where the word that it began was lost, it began and is over.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 call, 3 agent, 4 token, 5 whether there is something to wrap up (1 or 0)
-- Returns  when the wrap-up ends (ms), 0 without one, -3 where that reservation is not in force, -5 where that is in doubt
local now = tonumber(ARGV[1])
local c = load_call(ARGV[2])
if c and holds(c, ARGV[3], ARGV[4]) then
  if c.state == 'offered' then
    begin_talk(now, c)
  end
  if ARGV[5] == '0' then
    c.wrapup = 0
  end
  local wrapup_until = part(now, c)
  afterwards(now)
  return wrapup_until
end
local said = rc('HMGET', K .. 'a:' .. ARGV[3], 'lt', 'lk', 'lw')
if said[1] == ARGV[4] and said[2] == 'done' then
  return tonumber(said[3])
end
return not_in_force()
