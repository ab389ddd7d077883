-- include: base call_text
-- A call that is to be answered by a time, and is not, goes back in its line once: `late` holds
-- 'time score', what the score is from then on, and `d:CALL` stands among what is due. Without a target, and
-- once it is missed, there is neither.
local function await_target(now, c)
  if c.late == '' then
    return
  end
  local time, score = string.match(c.late, '^(%d+) (%d+)$')
  if tonumber(time) <= now then
    c.score, c.late = score, ''
  else
    due_at(time, 'd:' .. c.id)
  end
end

-- The time has come, and the call stands in no line now.
local function miss_target(c)
  c.score, c.late, c.changed = string.match(c.late, ' (%d+)$'), '', true
  write_changes(c)
end

local function no_more_target(c)
  if c.late ~= '' then
    not_due('d:' .. c.id)
  end
end
