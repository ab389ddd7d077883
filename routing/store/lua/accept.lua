-- include: base calls talk doubt afterwards
-- The agent answered. Others who were rung for the call are free again.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 call, 3 agent, 4 token
-- Returns  0, -3 where that reservation is not in force, or -5 where that is in doubt
local c = load_call(ARGV[2])
if not c or not holds(c, ARGV[3], ARGV[4]) then
  return not_in_force()
end
if c.state == 'offered' then
  begin_talk(tonumber(ARGV[1]), c)
  afterwards(tonumber(ARGV[1]))
end
return OK
