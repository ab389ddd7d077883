-- include: base callbacks
-- The two have talked, whatever is known here of the attempt; or it is not to be made (before it is, says anybody).
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 done or cancelled, 4 node that ends it, or ''
-- Returns  1, 0 where it is not known, -1 where it is being made
local b, how = load_callback(ARGV[2]), ARGV[3]
local now = tonumber(ARGV[1])
if not b then
  if ARGV[4] ~= '' then
    -- It was lost here, and whoever still knows of it does not put it back.
    remember_ended(now, ARGV[2])
  end
  return 0
end
local makes = b.state == 'making'
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
