-- include: base callbacks
-- The two have talked, whatever is known here of the attempt; or it is not to be made (before it is, says anybody).
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 done or cancelled, 4 node that ends it, or ''
-- Returns  1, 0 where it is not known, -1 where it is being made
local b, how = load_callback(ARGV[2]), ARGV[3]
if not b then
  return 0
end
local now, makes = tonumber(ARGV[1]), b.state == 'making'
if how ~= 'done' and makes then
  return -1
end
if b.node ~= ARGV[4] or (how == 'done' and not makes) then
  tell_callback_over(b, how)
end
if how == 'done' and not makes then
  attempt_begins(now, b, b.attempts + 1)
end
end_callback(now, b, how)
return 1
