// Package sched decides which ready item of a queue is delivered next: lanes,
// the turns of groups, priorities, and what filters see of them. It knows
// nothing of transactions, sessions or the disk; a [Source] reads the items for
// it, and whoever delivers tells it what became of them.
//
// # Lanes
//
// A lane is the ready items of the open epoch that share priority and group, in
// order of their ids. A level is the lanes of one priority. Taking an item goes
// through the levels from the highest priority down, takes the lane of the level
// that is due first, and of it the first item; then the lane goes behind all
// that are due. So groups take turns, and a group that may not be served, for its
// limit, its delay or a pause, is not in the heap or not yet due. Nothing scans
// items to find one that may be served.
//
// # What filters see
//
// A [View] is a lineup of its own, with the same lanes, levels and turns, over
// what matches a filter. It finds its lanes by one pass over the stored items, in
// bounded steps, and reads each lane on its own from then on. What becomes ready
// Later is offered to every view. So a consumer with a filter is served as one
// without would be, had the queue nothing but what matches.
//
// # Owners
//
// A consumer may keep the groups that it had deliveries of: what is due of them is
// left to it for a while. owner.go says how.
//
// # No item is forgotten
//
// Every unsettled ready item of the open epoch is at any moment, for the plain
// lineup and for each view that it matches,
//
//   - in flight, or
//   - in the window of its lane, or
//   - behind the cursor of its lane, which is then not complete, or
//   - in a lane that is yet to be loaded: its pointer is at or behind level.next;
//     or, for a view, behind the place that the pass has reached, or in a lane
//     that was left out, and then there will be another pass.
//
// Each method keeps this, and Holds and Check look whether it is so.
//
// # No wake-up is lost
//
// A receiver that found nothing waits in a line, which is the caller's. It must
// not wait while there is something for it to take:
//
//  1. It joins the line under the lock under which Take found nothing, Take
//     having returned with more false: so all that could be taken was looked at.
//  2. What makes an item available is either an act or time. All acts go
//     through Add, Return, Back, End, EndUnused, SetGroup, SetPolicy, Defer, Moved, Drop, Leave and
//     Open, and their caller wakes the line before it gives up the lock.
//  3. Of time, Next and NextOwn return the next moment at which it alone may make
//     Take return something else, and the caller's timer is set for it before the
//     lock is given up.
//  4. One receiver is woken for what there is, and each for whom something Waits,
//     as nobody else may have that yet. It wakes the next when it has taken as much
//     as it had room for, or gives up, since there may be more.
//
// # Bounds
//
// Memory holds at most Limits.Lanes lanes, and half as many again until the
// housekeeping that was asked for has come; at twice as many and one for each
// item in flight no further ones are loaded. Windows share a [Memory], and above
// its limit a lane keeps nothing when it has been served. A view holds as many
// lanes; when there are more it leaves out those that cannot be served. A call of
// Take reads a bounded number of items, and says with more that it should be
// called again, so that others get the lock in between.
//
// The methods are not safe for concurrent use.
package sched
