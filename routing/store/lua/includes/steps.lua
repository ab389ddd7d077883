-- include: base events call_text
-- What relaxes the requirement of a call: `steps` holds 'time class time class ...', the next first,
-- and `l:CALL` stands among what is due.
local function next_step(steps)
  local time, class, rest = string.match(steps, '^(%d+) (%x+) ?(.*)$')
  return tonumber(time), class, rest
end

-- The call asks for somebody else; it stands in no line now.
local function change_class(now, c, class, steps)
  c.class, c.named, c.steps, c.changed = class, '', steps, true
  write_changes(c)
  emit(now, 'relaxed', c.queue, 'c', c.id, 'to', class)
end

-- The call changes its class; it stands in no line now.
local function take_step(now, c)
  local _, class, rest = next_step(c.steps)
  change_class(now, c, class, rest)
  if rest == '' then
    not_due('l:' .. c.id)
  else
    due_at(int(next_step(rest)), 'l:' .. c.id)
  end
end

-- The next step, and those whose time is over already: what follows a named agent may have come before.
local function take_steps(now, c)
  repeat
    take_step(now, c)
  until c.steps == '' or next_step(c.steps) > now
end

local function no_more_steps(c)
  if c.steps ~= '' then
    not_due('l:' .. c.id)
  end
end

-- The classes to come are in use. Returns whether all of them are known.
local function know_steps(steps)
  for class in string.gmatch(steps, '%d+ (%x+)') do
    if rc('HEXISTS', K .. 'cl', class) == 0 then
      return false
    end
  end
  return true
end

local function await_steps(now, c)
  if c.steps == '' then
    return
  end
  for time, class in string.gmatch(c.steps, '(%d+) (%x+)') do
    rc('ZADD', K .. 'ck', 'GT', time, class)
  end
  due_at(int(next_step(c.steps)), 'l:' .. c.id)
  if next_step(c.steps) <= now then
    take_steps(now, c)
  end
end
