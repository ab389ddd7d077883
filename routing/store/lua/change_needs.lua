-- include: base calls afterwards
-- A call asks something else of its agent from now on, in the same place. One that is being rung for asks it
-- where that agent does not take it.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 call, 3 class, 4 steps to come (includes/steps.lua)
-- Returns  1, 0 where the call neither waits nor is offered or is its agent's own, or -1 where a class is unknown
local now, c = tonumber(ARGV[1]), load_call(ARGV[2])
if not c or c.state == 'talking' or c.own then
  return 0
end
if rc('HEXISTS', K .. 'cl', ARGV[3]) == 0 or not know_steps(ARGV[4]) then
  return UNKNOWN_CLASS
end
if c.class == ARGV[3] and c.steps == ARGV[4] then
  return 1
end
local waits = c.state == 'waiting'
if waits then
  leave_line(c)
end
no_more_steps(c)
change_class(now, c, ARGV[3], ARGV[4])
await_steps(now, c)
if waits then
  place(now, c)
end
afterwards(now)
return 1
