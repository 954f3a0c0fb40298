"""Grokfast, Muon and strong weight decay against a baseline that is tuned as they are; in steps and in seconds."""
