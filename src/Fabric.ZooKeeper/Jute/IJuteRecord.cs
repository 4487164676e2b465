namespace Fabric.ZooKeeper.Jute;

/// <summary>A record of the protocol: its fields in wire order, without tag or length.</summary>
internal interface IJuteRecord
{
    void Write(JuteWriter writer);
}

/// <summary>A record that can be read back.</summary>
internal interface IJuteRecord<TSelf> : IJuteRecord
    where TSelf : IJuteRecord<TSelf>
{
    /// <exception cref="JuteException">The frame is too short, or a length does not fit into it.</exception>
    static abstract TSelf Read(ref JuteReader reader);
}
